//! Who calls the API: keys and tokens, and what their roles allow. Knows HTTP only to fetch the keys of an issuer.

mod identity;
mod key_file;
