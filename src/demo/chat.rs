//! `/v1/chat/completions`: a response that says how its connection was keyed, whole or as server-sent
//! events (HTML Living Standard §9.2), at the pace of a model.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Request, StatusCode};
use hyper::body::{Body, Frame, Incoming};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::reply::{
    EVIDENCE, MODEL, Refusal, Reply, evidence, json, now, read_json, streamed, typed,
};

const DEFAULT_TOKENS: u64 = 16;
const MAX_TOKENS: u64 = 100_000;
const DEFAULT_INTERVAL_MS: f64 = 50.0;
const MAX_INTERVAL_MS: f64 = 3_600_000.0;

/// The parameters of a request; other parameters of OpenAI's API change nothing.
#[derive(Debug, Deserialize)]
struct Question {
    model: Option<String>,
    messages: Vec<Value>,
    stream: Option<bool>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    /// Ours: milliseconds between two tokens.
    hybridge_interval_ms: Option<f64>,
}

/// A completion under way.
struct Completion {
    id: String,
    created: u64,
    model: String,
    group: Option<String>,
    words: Vec<String>,
    tokens: usize,
    interval: Duration,
    finish_reason: &'static str,
}

/// Responds to a request for a chat completion.
pub(super) async fn complete(request: Request<Incoming>) -> Result<Reply, Refusal> {
    let group = evidence(&request);
    let question: Question = read_json(request.into_body()).await?;
    let streams = question.stream.unwrap_or(false);
    let completion = Completion::new(&question, group)?;
    if streams {
        return Ok(completion.stream());
    }
    let thinking = u32::try_from(completion.tokens).unwrap_or(u32::MAX);
    sleep(completion.interval.saturating_mul(thinking)).await;
    Ok(completion.whole(question.messages.len()))
}

impl Completion {
    fn new(question: &Question, group: Option<String>) -> Result<Self, Refusal> {
        if question.messages.is_empty() {
            return Err(Refusal::bad("messages is empty").about("messages"));
        }
        let limit = question.max_completion_tokens.or(question.max_tokens);
        let tokens = limit.unwrap_or(DEFAULT_TOKENS);
        if !(1..=MAX_TOKENS).contains(&tokens) {
            let message = format!("max_tokens is {tokens}: choose 1 to {MAX_TOKENS}");
            return Err(Refusal::bad(message).about("max_tokens"));
        }
        let interval = question.hybridge_interval_ms.unwrap_or(DEFAULT_INTERVAL_MS);
        if !(0.0..=MAX_INTERVAL_MS).contains(&interval) {
            let message =
                format!("hybridge_interval_ms is {interval}: choose 0 to {MAX_INTERVAL_MS}");
            return Err(Refusal::bad(message).about("hybridge_interval_ms"));
        }
        let created = now();
        Ok(Self {
            id: format!("chatcmpl-{created:x}"),
            created,
            model: question.model.clone().unwrap_or_else(|| MODEL.to_owned()),
            words: words(group.as_deref()),
            group,
            tokens: tokens as usize,
            interval: Duration::from_secs_f64(interval / 1e3),
            finish_reason: if limit.is_some() { "length" } else { "stop" },
        })
    }

    fn token(&self, index: usize) -> &str {
        &self.words[index % self.words.len()]
    }

    fn object(&self, kind: &str, choice: &Value) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            EVIDENCE: self.group,
        })
    }

    fn whole(&self, messages: usize) -> Reply {
        let content: String = (0..self.tokens).map(|index| self.token(index)).collect();
        let message = json!({ "role": "assistant", "content": content.trim_end() });
        let choice = json!({ "index": 0, "message": message, "finish_reason": self.finish_reason });
        let mut completion = self.object("chat.completion", &choice);
        completion["usage"] = json!({
            "prompt_tokens": messages,
            "completion_tokens": self.tokens,
            "total_tokens": messages + self.tokens,
        });
        json(StatusCode::OK, &completion)
    }

    fn stream(self) -> Reply {
        let tokens = Tokens {
            completion: self,
            sent: 0,
            pause: Box::pin(sleep(Duration::ZERO)),
        };
        let mut reply = typed("text/event-stream", streamed(tokens));
        let no_cache = HeaderValue::from_static("no-cache");
        reply.headers_mut().insert(CACHE_CONTROL, no_cache);
        reply
    }

    /// The event after `sent` others: role and tokens, the reason for the end, the end.
    fn event(&self, sent: usize) -> Option<Bytes> {
        let delta = match sent {
            0 => json!({ "role": "assistant", "content": self.token(0) }),
            index if index < self.tokens => json!({ "content": self.token(index) }),
            index if index == self.tokens => json!({}),
            index if index == self.tokens + 1 => return Some("data: [DONE]\n\n".into()),
            _ => return None,
        };
        let finish = (sent == self.tokens).then_some(self.finish_reason);
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let chunk = self.object("chat.completion.chunk", &choice);
        Some(format!("data: {chunk}\n\n").into())
    }
}

/// The words of the completion, each with the blank after it.
fn words(group: Option<&str>) -> Vec<String> {
    let group = group.unwrap_or("nothing, for it did not come through the sidecar");
    let text = format!(
        "Hello! This answer comes from a stub; the connection that carries it is keyed with {group}."
    );
    text.split_inclusive(' ')
        .map(str::to_owned)
        .chain(["\n".to_owned()])
        .collect()
}

/// The events of a streamed completion; a client that goes away drops it, timer and all.
struct Tokens {
    completion: Completion,
    sent: usize,
    pause: Pin<Box<Sleep>>,
}

impl Body for Tokens {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        ready!(this.pause.as_mut().poll(cx));
        let event = this.completion.event(this.sent);
        this.sent += 1;
        // Only tokens take time; the end follows the last one at once.
        if this.sent < this.completion.tokens && !this.completion.interval.is_zero() {
            this.pause = Box::pin(sleep_until(Instant::now() + this.completion.interval));
        }
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}
