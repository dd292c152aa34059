//! Who calls the API: keys and tokens, and what their roles allow. Knows HTTP only to fetch the keys of an issuer.

mod claims;
mod identity;
mod issuer_keys;
mod jwks;
mod key_file;
mod signature;
mod token;
