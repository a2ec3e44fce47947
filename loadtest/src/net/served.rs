//! What a server has of what scenarios ask for. The tool's own backend and the demo have everything; a real model server
//! has neither `/blob` nor `/sink`, and streams tokens under the name of its own model.

/// Found out by `run::capability`, looked at by sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// `GET /blob/N` gives N bytes.
    pub blob: bool,
    /// `POST /sink` takes what it is given.
    pub sink: bool,
    pub http2: bool,
    /// The echo service of the demo.
    pub grpc: bool,
    /// Streams chat completions of this model.
    pub model: Option<String>,
    /// Requested instead of a blob, whatever its length.
    pub page: Option<String>,
}

impl Default for Served {
    fn default() -> Self {
        Self {
            blob: true,
            sink: true,
            http2: true,
            grpc: true,
            model: Some("stub".into()),
            page: None,
        }
    }
}
