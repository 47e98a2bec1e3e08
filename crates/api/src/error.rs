//! Refusals: a status, what happened, what to do.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bartizan_audit::LogError;
use bartizan_model::api::ErrorReply;
use bartizan_model::escape;
use bartizan_store::{RecordKind, StoreError};

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    reply: ErrorReply,
}

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, reply: ErrorReply { error: shown(&error.into()), hint: None } }
    }

    /// The caller sent what makes no sense.
    pub(crate) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    /// The caller named what is not there.
    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// What the caller wants contradicts what is there.
    pub(crate) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    /// We cannot do it now.
    pub(crate) fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// What the caller is told, where it is not by a status.
    pub(crate) fn into_reply(self) -> ErrorReply {
        self.reply
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.reply.hint = Some(shown(&hint.into()));
        self
    }
}

/// Text without control characters. Names in messages are escaped already; backslashes stay single.
fn shown(text: &str) -> String {
    escape(text.as_bytes()).replace("\\\\", "\\")
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reply.error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.reply)).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Exists { .. } => Self::conflict(text),
            StoreError::KeyTaken { .. } => Self::conflict(text)
                .hint("a key proves to be one person; remove it there first: `bartizan key remove`"),
            StoreError::NotFound { record, .. } => Self::not_found(text).hint(listing(record)),
            StoreError::InUse { .. } => {
                Self::conflict(text).hint("remove those grants first, or say --with-grants")
            }
            StoreError::Crypto(_) => Self::invalid(text),
            StoreError::WrongMasterKey { .. } => {
                Self::conflict(text).hint("another process rotated the master key; start this one again")
            }
            StoreError::Moved { .. } => Self::conflict(text).hint("somebody else changed it; try again"),
            StoreError::Full(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                format!("{text}; nothing was changed"),
            )
            .hint(
                "free space: grow the file system, or set `[recordings] keep_size` and restart the server \
                     (docs/space.md); `bartizan session terminate` ends live sessions meanwhile",
            ),
            StoreError::IndexDamaged(_) => Self::unavailable(text).hint("ask again in a moment"),
            StoreError::Replaced(_) => Self::unavailable(text),
            StoreError::Damaged(_) => {
                tracing::error!(error = text, "the store failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
                    .hint("stop the server and restore bartizan.db from a backup")
            }
            StoreError::Gap { .. }
            | StoreError::Newer { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Database(_) => {
                tracing::error!(error = text, "the store failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text).hint("see the server's log")
            }
        }
    }
}

fn listing(record: RecordKind) -> &'static str {
    match record {
        RecordKind::Person => "`bartizan person list` shows those there are",
        RecordKind::Key => "`bartizan key list` shows those there are",
        RecordKind::Role => "`bartizan role list` shows those there are",
        RecordKind::Ca => "`bartizan ca list` shows those there are",
        RecordKind::Target => "`bartizan target list` shows those there are",
        RecordKind::Grant => "`bartizan grant list` shows those there are",
        RecordKind::Credential => "`bartizan target credential list` shows those there are",
        RecordKind::Certificate | RecordKind::Revocation => "`bartizan cert list` shows those there are",
        RecordKind::Session => "`bartizan session list` shows those there are",
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        let text = format!("the audit log does not take the event, so nothing was done: {error}");
        match error {
            LogError::TooLong { .. } => Self::invalid(text).hint("send less in one request"),
            _ => Self::unavailable(text).hint("see the server's log; check the disk of the data folder"),
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), brief(&rejection.body_text()))
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), brief(&rejection.body_text()))
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), brief(&rejection.body_text()))
    }
}

/// The framework's words without those that tell an operator nothing.
fn brief(text: &str) -> &str {
    let prefixes = [
        "Failed to deserialize the JSON body into the target type: ",
        "Failed to parse the request body as JSON: ",
        "Failed to deserialize query string: ",
        "Invalid URL: ",
    ];
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
}

pub(crate) async fn no_such_path() -> ApiError {
    ApiError::not_found("there is no such path").hint("use the `bartizan` and `bartizand` of one release")
}

pub(crate) async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "the path does not take this method")
}
