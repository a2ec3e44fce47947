//! The routes of OpenAI's API, the page and the bulk ones, over HTTP/1.1 and HTTP/2.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::process::{Demo, get, post, question, request};
use super::{CLASSICAL, HYBRID};
use crate::support::within;

#[tokio::test]
async fn each_listener_keys_as_it_promises_and_the_answer_says_so() {
    let demo = Demo::start();
    for (listener, group) in [("hybrid:", HYBRID), ("classical:", CLASSICAL)] {
        for alpn in ["h2", "http/1.1"] {
            let (status, health) = demo.json(listener, alpn, get("/health")).await;
            assert_eq!((status, &health["status"]), (200, &json!("ok")));
            assert_eq!(health["x-tls-key-exchange"], group, "{listener} {alpn}");
        }
    }
}

#[tokio::test]
async fn the_api_answers_in_the_form_of_openai() {
    let demo = Demo::start();
    for alpn in ["h2", "http/1.1"] {
        let ask = async |request| demo.json("hybrid:", alpn, request).await;
        let (status, models) = ask(get("/v1/models")).await;
        assert_eq!((status, &models["object"]), (200, &json!("list")));
        let model = &models["data"][0]["id"];

        let fields = json!({ "model": model, "max_tokens": 3, "hybridge_interval_ms": 0 });
        let (status, chat) = ask(post("/v1/chat/completions", &question(&fields))).await;
        assert_eq!((status, &chat["object"]), (200, &json!("chat.completion")));
        assert_eq!(
            chat["choices"][0]["message"]["content"],
            "Hello! This answer"
        );
        assert_eq!(chat["choices"][0]["finish_reason"], "length");
        assert_eq!(chat["usage"]["completion_tokens"], 3);
        assert_eq!(chat["x-tls-key-exchange"], HYBRID);

        for (input, vectors) in [
            (json!("one"), 1),
            (json!(["one", "two"]), 2),
            (json!([1, 2, 3]), 1),
            (json!([[1], [2]]), 2),
        ] {
            let body = json!({ "model": model, "input": input });
            let (status, list) = ask(post("/v1/embeddings", &body)).await;
            assert_eq!(status, 200, "{list}");
            let data = list["data"].as_array().unwrap();
            assert_eq!(data.len(), vectors, "{input}");
            let vector = data[0]["embedding"].as_array().unwrap();
            let square: f64 = vector.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
            assert!((square - 1.0).abs() < 1e-9, "{square}");
        }
    }
}

#[tokio::test]
async fn a_streamed_answer_is_one_event_a_token_and_ends_with_done() {
    let demo = Demo::start();
    for alpn in ["h2", "http/1.1"] {
        let fields = json!({ "stream": true, "hybridge_interval_ms": 0.5, "model": "other" });
        let request = post("/v1/chat/completions", &question(&fields));
        let response = demo.send("hybrid:", alpn, request).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = within(response.into_body().collect()).await.unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let mut events: Vec<_> = text.split_terminator("\n\n").collect();
        assert_eq!(events.pop(), Some("data: [DONE]"));
        let chunks: Vec<Value> = events
            .iter()
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        assert_eq!(chunks.len(), 16 + 1);
        assert_eq!(chunks[0]["model"], "other");
        assert_eq!(chunks[16]["choices"][0]["finish_reason"], "stop");
        let said: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert!(said.contains(HYBRID), "{said}");
    }
}

#[tokio::test]
async fn the_first_token_does_not_wait_for_the_second() {
    let demo = Demo::start();
    for alpn in ["h2", "http/1.1"] {
        let fields = json!({ "stream": true, "max_tokens": 2, "hybridge_interval_ms": 3_600_000 });
        let request = post("/v1/chat/completions", &question(&fields));
        let mut response = demo.send("hybrid:", alpn, request).await;
        let first = within(response.body_mut().frame()).await.unwrap().unwrap();
        let first = first.into_data().unwrap();
        assert!(first.starts_with(b"data: {"), "{first:?}");
        assert!(first.ends_with(b"\n\n"), "{first:?}");
    }
}

#[tokio::test]
async fn a_bad_request_is_told_what_is_wrong_with_it() {
    let demo = Demo::start();
    let chat = "/v1/chat/completions";
    let cases = [
        (get("/nothing"), 404, "there is nothing at /nothing"),
        (get(chat), 405, "this path takes POST"),
        (post("/health", &json!({})), 405, "this path takes GET"),
        (get("/sink"), 405, "this path takes POST, PUT"),
        (post(chat, &json!({})), 400, "missing field `messages`"),
        (
            post(chat, &json!({ "messages": [] })),
            400,
            "messages is empty",
        ),
        (
            post(chat, &question(&json!({ "max_tokens": 0 }))),
            400,
            "max_tokens is 0: choose 1 to 100000",
        ),
        (
            post(chat, &question(&json!({ "max_tokens": 100_001 }))),
            400,
            "max_tokens is 100001: choose 1 to 100000",
        ),
        (
            post(
                chat,
                &question(&json!({ "hybridge_interval_ms": 3_600_001 })),
            ),
            400,
            "hybridge_interval_ms is 3600001: choose 0 to 3600000",
        ),
        (
            post(chat, &question(&json!({ "hybridge_interval_ms": -0.5 }))),
            400,
            "hybridge_interval_ms is -0.5: choose 0 to 3600000",
        ),
        (
            request(Method::POST, chat, Bytes::from(vec![b' '; (1 << 20) + 1])),
            413,
            "the body is larger than 1048576 bytes",
        ),
        (
            post("/v1/embeddings", &json!({ "input": [] })),
            400,
            "input is empty",
        ),
        (
            post("/v1/embeddings", &json!({ "input": 7 })),
            400,
            "input is neither a text nor a list of texts or tokens",
        ),
        (get("/blob/many"), 400, "`many` is not a number of bytes"),
        (
            get("/blob/68719476737"),
            400,
            "`68719476737` is not a number of bytes from 0 to 68719476736",
        ),
        (get("/ws"), 400, "this path takes a WebSocket handshake"),
        (
            get("/hybridge.demo.Echo/Unary"),
            400,
            "gRPC is a POST over HTTP/2",
        ),
    ];
    for (request, status, expected) in cases {
        let shown = format!("{} {}", request.method(), request.uri());
        let (answered, body) = demo.json("hybrid:", "h2", request).await;
        let error = &body["error"];
        assert_eq!(answered, status, "{shown}: {body}");
        assert_eq!(error["type"], "invalid_request_error", "{shown}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{shown}: {message}");
    }
}

#[tokio::test]
async fn bulk_goes_down_and_up_to_the_last_byte() {
    const SIZE: usize = 8 << 20;
    let demo = Demo::start();
    for alpn in ["h2", "http/1.1"] {
        for size in [0, 1, SIZE + 1] {
            let request = get(&format!("/blob/{size}"));
            let response = demo.send("hybrid:", alpn, request).await;
            assert_eq!(response.headers()["content-length"], size.to_string());
            let body = within(response.into_body().collect()).await.unwrap();
            assert_eq!(body.to_bytes().len(), size, "{alpn}");
        }
        for method in [Method::POST, Method::PUT] {
            let upload = request(method, "/sink", Bytes::from(vec![7; SIZE]));
            let (status, answer) = demo.json("hybrid:", alpn, upload).await;
            assert_eq!((status, &answer["bytes"]), (200, &json!(SIZE)), "{alpn}");
        }
    }
}

#[tokio::test]
async fn the_page_is_one_file_that_asks_for_a_stream() {
    let demo = Demo::start();
    let response = demo.send("hybrid:", "h2", get("/")).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    let body = within(response.into_body().collect()).await.unwrap();
    let page = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(page.contains("/v1/chat/completions"), "{page}");
    for outside in ["src=", "http:", "https:", "@import"] {
        assert!(!page.contains(outside), "{outside} in {page}");
    }
}
