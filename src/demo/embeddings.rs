//! `/v1/embeddings`: vectors of length one that depend only on the input and mean nothing.

use aws_lc_rs::digest::{SHA256, digest};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{EVIDENCE, MODEL, Refusal, Reply, evidence, json, read_json};

const MAX_INPUTS: usize = 2048;

#[derive(Debug, Deserialize)]
struct Question {
    model: Option<String>,
    input: Value,
}

/// Responds to a request for embeddings.
pub(super) async fn embed(request: Request<Incoming>) -> Result<Reply, Refusal> {
    let group = evidence(&request);
    let question: Question = read_json(request.into_body()).await?;
    let inputs = inputs(question.input)?;
    let data: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            json!({ "object": "embedding", "index": index, "embedding": vector(input) })
        })
        .collect();
    let list = json!({
        "object": "list",
        "data": data,
        "model": question.model.as_deref().unwrap_or(MODEL),
        "usage": { "prompt_tokens": inputs.len(), "total_tokens": inputs.len() },
        EVIDENCE: group,
    });
    Ok(json(StatusCode::OK, &list))
}

/// A text, a list of texts, a list of tokens, or a list of lists of tokens.
fn inputs(input: Value) -> Result<Vec<Value>, Refusal> {
    let wrong = |message: String| Err(Refusal::bad(message).about("input"));
    match input {
        Value::String(_) => Ok(vec![input]),
        Value::Array(items) if items.is_empty() => wrong("input is empty".to_owned()),
        Value::Array(items) if items.iter().all(Value::is_u64) => Ok(vec![Value::Array(items)]),
        Value::Array(items) if items.len() > MAX_INPUTS => wrong(format!(
            "input has {} items: at most {MAX_INPUTS}",
            items.len()
        )),
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_array()) => {
            Ok(items)
        }
        _ => wrong("input is neither a text nor a list of texts or tokens".to_owned()),
    }
}

/// The digest of the input as a direction in 32 dimensions.
fn vector(input: &Value) -> Vec<f64> {
    let digest = digest(&SHA256, input.to_string().as_bytes());
    let raw: Vec<f64> = digest
        .as_ref()
        .iter()
        .map(|byte| f64::from(*byte) - 127.5)
        .collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.iter().map(|x| x / length).collect()
}
