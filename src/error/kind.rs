//! Kinds of errors, and how they follow from what libraries say.

use std::error::Error as StdError;
use std::io;

use super::Error;

/// What the reader of an error should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Correct the configuration, the flag or the SQL.
    Invalid,
    /// Check the name: there is no such thing.
    Missing,
    /// Use other credentials or permissions.
    Denied,
    /// Look at the data: a rule that must hold does not.
    Data,
    /// Run again: another writer won.
    Conflict,
    /// Wait, or check the storage.
    Unavailable,
    /// Look at what came: more of it is wrong than may be, so nothing was published.
    Threshold,
    /// Nothing: it was asked to stop.
    Stopped,
    /// Report it, with the chain.
    Bug,
}

impl Kind {
    /// The process exit code for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid | Self::Missing => 2,
            Self::Denied => 3,
            Self::Data => 4,
            Self::Conflict => 5,
            Self::Unavailable => 6,
            Self::Threshold => 7,
            Self::Bug => 70,
            Self::Stopped => 130,
        }
    }

    /// The kind that the deepest telling cause of `error` stands for, or `otherwise`.
    pub(super) fn of_cause(error: &(dyn StdError + 'static), otherwise: Self) -> Self {
        let mut kind = None;
        let mut weaker = otherwise;
        for cause in causes(error) {
            if let Some(own) = cause.downcast_ref::<Error>() {
                return own.kind();
            }
            kind = Self::of_type(cause).or(kind);
            weaker = Self::of_content(cause).unwrap_or(weaker);
        }
        kind.or_else(|| system_error(error).and_then(Self::of_io)).unwrap_or(weaker)
    }

    fn of_type(cause: &(dyn StdError + 'static)) -> Option<Self> {
        use object_store::Error as Store;
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Self::of_io(io.kind());
        }
        if let Some(join) = cause.downcast_ref::<tokio::task::JoinError>() {
            return join.is_panic().then_some(Self::Bug);
        }
        match cause.downcast_ref::<Store>()? {
            Store::NotFound { .. } => Some(Self::Missing),
            Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => Some(Self::Denied),
            Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => {
                Some(Self::Invalid)
            }
            _ => None,
        }
    }

    /// The kind of an error about bytes that could be read and are not what they should be. Behind such
    /// an error may still be one of the system, which is the cause then.
    fn of_content(cause: &(dyn StdError + 'static)) -> Option<Self> {
        use parquet::errors::ParquetError;
        let is_wrong = match cause.downcast_ref::<ParquetError>() {
            Some(ParquetError::EOF(_)) => true,
            // Data that cannot be fetched is reported as a general error too.
            Some(ParquetError::General(text)) => !text.contains("Object Store error"),
            Some(_) => false,
            None => {
                let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
                matches!(io, Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof))
                    || cause.is::<serde_json::Error>()
                    || cause.is::<std::str::Utf8Error>()
                    || cause.is::<std::string::FromUtf8Error>()
            }
        };
        if is_wrong {
            return Some(Self::Data);
        }
        // Two crates parse regular expressions, and one of them is not known here by its type.
        cause.to_string().starts_with("regex parse error:").then_some(Self::Invalid)
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        use io::ErrorKind as Io;
        Some(match kind {
            Io::NotFound => Self::Missing,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => Self::Denied,
            Io::InvalidInput | Io::InvalidFilename | Io::NotADirectory | Io::IsADirectory => {
                Self::Invalid
            }
            Io::StorageFull
            | Io::QuotaExceeded
            | Io::FileTooLarge
            | Io::OutOfMemory
            | Io::TimedOut
            | Io::BrokenPipe
            | Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::NotConnected
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::AddrNotAvailable
            | Io::StaleNetworkFileHandle => Self::Unavailable,
            _ => return None,
        })
    }
}

/// `error` and all that caused it, outermost first.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause| cause_of(*cause))
}

/// What caused `error`. What an [`io::Error`] wraps is a cause of its own, which its `source` leaves out.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
        None => error.source(),
    }
}

/// What the operating system has said underneath `error`.
pub(super) fn system_error(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut found = None;
    let mut deepest = error;
    for cause in causes(error) {
        deepest = cause;
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        let kind = io.or_else(|| json.and_then(serde_json::Error::io_error_kind));
        found = kind.filter(|kind| Kind::of_io(*kind).is_some()).or(found);
    }
    found.or_else(|| in_text(&deepest.to_string()))
}

/// Some libraries keep only the text of what the system said. It ends with the number of the error, as
/// in `(os error 13)` or `Os { code: 13, … }`. A number elsewhere may come from a value, so only the
/// end counts.
fn in_text(text: &str) -> Option<io::ErrorKind> {
    let text = text.trim_end();
    let number = match text.strip_suffix(')') {
        Some(display) => display.rsplit_once("(os error ")?.1,
        None => {
            let debug = text.strip_suffix('}')?.rsplit_once("Os { code: ")?.1;
            debug.split(',').next()?
        }
    };
    Some(io::Error::from_raw_os_error(number.parse().ok()?).kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: impl StdError + 'static) -> Kind {
        Kind::of_cause(&error, Kind::Conflict)
    }

    fn store(source: impl StdError + Send + Sync + 'static) -> object_store::Error {
        object_store::Error::Generic { store: "Test", source: Box::new(source) }
    }

    #[test]
    fn the_deepest_cause_tells_through_any_wrapper() {
        let denied = || io::Error::from_raw_os_error(13);
        assert_eq!(kind(denied()), Kind::Denied);
        assert_eq!(kind(store(denied())), Kind::Denied);
        assert_eq!(kind(io::Error::other(store(denied()))), Kind::Denied);
        assert_eq!(kind(store(io::Error::other(denied()))), Kind::Denied);
        let full = arrow::error::ArrowError::from(io::Error::from_raw_os_error(28));
        let full = parquet::errors::ParquetError::from(full);
        assert_eq!(kind(io::Error::other(full)), Kind::Unavailable);
        assert_eq!(kind(store(io::Error::other("nothing"))), Kind::Conflict);
        let own = Error::new(Kind::Stopped, "asked");
        assert_eq!(kind(store(own)), Kind::Stopped);
    }

    #[test]
    fn a_number_at_the_end_of_a_text_tells_and_one_inside_does_not() {
        let said = |text: &str| kind(io::Error::other(text.to_owned()));
        assert_eq!(said("cannot open x: Permission denied (os error 13)"), Kind::Denied);
        let debug = "cannot create y: Os { code: 28, kind: StorageFull, message: \"No space\" }";
        assert_eq!(said(debug), Kind::Unavailable);
        assert_eq!(said("cannot cast '(os error 13)' to BIGINT"), Kind::Conflict);
        assert_eq!(said("closed (for good)"), Kind::Conflict);
    }

    #[test]
    fn bytes_that_are_not_what_they_should_be_are_data() {
        let json = serde_json::from_str::<u8>("{").unwrap_err();
        assert_eq!(kind(store(json)), Kind::Data);
        let text = String::from_utf8(vec![0xff]).unwrap_err();
        assert_eq!(kind(text), Kind::Data);
        assert_eq!(kind(io::Error::from(io::ErrorKind::UnexpectedEof)), Kind::Data);
        let fetched = |said: &str| kind(parquet::errors::ParquetError::General(said.to_owned()));
        assert_eq!(fetched("Invalid Parquet file. Corrupt footer"), Kind::Data);
        assert_eq!(fetched("cannot fetch x: Object Store error: no route"), Kind::Conflict);
        assert_eq!(
            fetched("cannot fetch x: Object Store error: Permission denied (os error 13)"),
            Kind::Denied
        );
    }

    #[test]
    fn a_bad_regular_expression_is_for_its_writer_to_correct() {
        let error = regex::Regex::new(&["(", "x"].concat()).unwrap_err();
        assert_eq!(kind(store(error)), Kind::Invalid);
    }
}
