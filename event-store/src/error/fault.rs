//! Which error of the store an error of the database is.

use super::StoreError;

/// The code of Postgres for a write in a read-only transaction.
const READ_ONLY: &str = "25006";

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) if database.code().as_deref() == Some(READ_ONLY) => {
                StoreError::ReadOnly(text)
            }
            sqlx::Error::Database(database) => match fault(database.code().as_deref().unwrap_or_default()) {
                DatabaseFault::Request => StoreError::Refused(text),
                DatabaseFault::Passing => StoreError::Unavailable(text),
                DatabaseFault::Lasting if is_damage(&text) => StoreError::Damaged(text),
                DatabaseFault::Lasting => StoreError::Unusable(text),
                DatabaseFault::Damage => StoreError::Damaged(text),
            },
            sqlx::Error::Encode(_) => StoreError::Refused(text),
            // The schema of the database does not fit this build's statements.
            sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Configuration(_)
            | sqlx::Error::InvalidArgument(_)
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound => StoreError::Unusable(text),
            sqlx::Error::PoolTimedOut => StoreError::Unavailable(
                "no connection was free in time: the database is unavailable, or all connections are in use".into(),
            ),
            // Everything else is a fault of the connection or the pool.
            _ => StoreError::Unavailable(text),
        }
    }
}

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DatabaseFault {
    /// The request: the database refuses its values.
    Request,
    /// The database, for a time. No operator is needed.
    Passing,
    /// Stored data: a row, a page or an index that cannot be read.
    Damage,
    /// The database, until an operator repairs it. A code that is not listed counts as this: an operator notices an
    /// engine that waits and can repair the cause, but no operator can bring back a correct row that the engine gave
    /// up.
    Lasting,
}

/// A code of Postgres has five characters. A code of SQLite is a number below 10,000.
fn fault(code: &str) -> DatabaseFault {
    match code.parse() {
        Ok(number) if code.len() < 5 => fault_of_sqlite(number),
        Ok(_) | Err(_) => fault_of_postgres(code),
    }
}

/// The request is at fault: data exceptions (22), constraints (23), limits of the program (54). The fault passes:
/// connection (08), rollback (40), resources (53), lock not available (55P03), operator intervention and timeouts (57),
/// system errors (58), read-only transaction on a server that a cluster manager switches (25006), plans that a
/// migration made stale (0A000).
fn fault_of_postgres(code: &str) -> DatabaseFault {
    match (code, code.get(..2).filter(|_| code.len() == 5)) {
        // Writers compete for keys and versions. A repeat finds which of them has it.
        ("23505", _) => DatabaseFault::Passing,
        ("55P03" | "25006" | "0A000", _) | (_, Some("08" | "40" | "53" | "57" | "58")) => DatabaseFault::Passing,
        (_, Some("22" | "23" | "54")) => DatabaseFault::Request,
        ("XX001" | "XX002", _) => DatabaseFault::Damage,
        (_, Some(_) | None) => DatabaseFault::Lasting,
    }
}

/// Postgres reports damaged values under the code of any internal error. It never translates these texts.
fn is_damage(text: &str) -> bool {
    const SAYS: [&str; 4] = [
        "missing chunk number",
        "unexpected chunk number",
        "unexpected chunk size",
        "invalid memory alloc request size",
    ];
    SAYS.iter().any(|says| text.contains(says))
}

/// The low byte of a code is the error, the other bits are a detail of it.
fn fault_of_sqlite(code: u16) -> DatabaseFault {
    const BUSY: u16 = 5;
    const LOCKED: u16 = 6;
    const FULL: u16 = 13;
    const TOO_BIG: u16 = 18;
    const CONSTRAINT: u16 = 19;
    const CONSTRAINT_PRIMARY_KEY: u16 = 1555;
    const CONSTRAINT_UNIQUE: u16 = 2067;
    const MISMATCH: u16 = 20;
    match (code, code & 0xff) {
        (CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE, _) | (_, BUSY | LOCKED | FULL) => DatabaseFault::Passing,
        (_, TOO_BIG | CONSTRAINT | MISMATCH) => DatabaseFault::Request,
        (_, _) => DatabaseFault::Lasting,
    }
}

#[cfg(test)]
mod tests {
    use super::{DatabaseFault, fault, is_damage};

    fn all(codes: &[&str], expected: DatabaseFault) {
        for code in codes {
            assert_eq!(fault(code), expected, "{code}");
        }
    }

    #[test]
    fn what_goes_away_by_itself_passes() {
        all(&["08006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03"], DatabaseFault::Passing);
        all(&["58030", "25006", "0A000", "23505"], DatabaseFault::Passing);
        all(&["5", "6", "13", "261", "517", "1555", "2067"], DatabaseFault::Passing);
    }

    #[test]
    fn only_a_row_can_be_at_fault_permanently() {
        // Bytes that are no text, out of range, not null, a check, too large for an index.
        all(&["22021", "22003", "23502", "23514", "54000"], DatabaseFault::Request);
        all(&["18", "19", "275", "1299", "3091", "20"], DatabaseFault::Request);
    }

    #[test]
    fn what_an_operator_has_to_repair_lasts() {
        // Password, who may connect, a privilege, no such database or table or function, syntax, an unknown error, an
        // index that is broken.
        all(&["28P01", "28000", "42501", "3D000", "42P01", "42883", "42601", "XX000", "P0001"], DatabaseFault::Lasting);
        // A disk that cannot be read or written, a file that is no database, that may not be written, that is broken or
        // gone.
        all(&["10", "778", "26", "8", "11", "14", "", "53", "2", "22"], DatabaseFault::Lasting);
    }

    #[test]
    fn damaged_data_is_told_apart() {
        all(&["XX001", "XX002"], DatabaseFault::Damage);
        assert!(is_damage("missing chunk number 0 for toast value 16424 in pg_toast_16385"));
    }
}
