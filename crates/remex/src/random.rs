//! Random identities from the system's generator.

use crate::OpenError;

/// A random number that is not 0.
pub(crate) fn identity() -> Result<u64, OpenError> {
    loop {
        let number = getrandom::u64().map_err(|error| {
            OpenError::Config(format!("the system gives no random numbers: {error}"))
        })?;
        if number != 0 {
            return Ok(number);
        }
    }
}
