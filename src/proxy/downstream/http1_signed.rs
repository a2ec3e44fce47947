//! Signed responses to an HTTP/1.1 client.

use bytes::BytesMut;
use http::Response;
use http::header::CONTENT_TYPE;

use super::http1_end::{Next, RequestMeta, conclude, outgoing, unanswered};
use crate::io::Duplex;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::response::{Persistence, ResponseHead, write_from_http2};
use crate::proxy::codec::message::{Framing, MessageStream};
use crate::proxy::context::{Context, Sample};
use crate::proxy::error::UpstreamError;
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::pace::announces_stream;
use crate::proxy::round_trip::{Http2Response, RoundTripError};
use crate::proxy::signed_response::{Client, Signed, sign};
use crate::proxy::upstream::Socket;
use crate::signature::Receipt;

/// A request, and what of it is signed with its response.
type Asked<'a> = (&'a RequestMeta, &'a Receipt);

/// A response that was forwarded.
struct Passed {
    result: Result<(), Broken>,
    upload: Upload,
    after: Persistence,
}

/// Passes a response on whose head of `length` bytes stands in the connection's buffer.
pub(super) async fn respond_signed<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: Asked<'_>,
    mut up: Box<H1<Socket>>,
    (length, upload): (usize, Upload),
    sample: &mut Sample<'_>,
) -> Next {
    let (response, incoming, kept) = match ResponseHead::read(up.head(length), asked.0.is_head) {
        Ok(head) => head,
        Err(error) => {
            let why = UpstreamError::BadResponse(error).into();
            return unanswered(client, context, asked.0, why, sample).await;
        }
    };
    up.start_body(length, incoming);
    let answer = (response, incoming);
    match pass(client, context, asked, answer, &mut *up, upload, sample).await {
        Ok(passed) => {
            let whole = passed.result.is_ok() && passed.upload == Upload::Done;
            if whole && kept && up.is_drained() {
                context.upstream.checkin(up);
            }
            conclude(client, context, passed.result, passed.after, sample)
        }
        Err(why) => unanswered(client, context, asked.0, why, sample).await,
    }
}

/// The same for a response of an HTTP/2 upstream.
pub(super) async fn respond_signed_from_http2<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: Asked<'_>,
    answered: Http2Response,
    incoming: Framing,
    sample: &mut Sample<'_>,
) -> Next {
    let Http2Response {
        mut stream,
        response,
        upload,
        ..
    } = answered;
    let answer = (response, incoming);
    let passed = pass(client, context, asked, answer, &mut stream, upload, sample).await;
    match passed {
        Ok(passed) => {
            if passed.result.is_err() || passed.upload != Upload::Done {
                stream.cancel();
            }
            conclude(client, context, passed.result, passed.after, sample)
        }
        Err(why) => {
            stream.cancel();
            unanswered(client, context, asked.0, why, sample).await
        }
    }
}

async fn pass<S: Duplex, U: MessageStream>(
    client: &mut H1<S>,
    context: &Context,
    (asked, receipt): Asked<'_>,
    answer: (Response<()>, Framing),
    up: &mut U,
    upload: Upload,
    sample: &mut Sample<'_>,
) -> Result<Passed, RoundTripError> {
    let of = Client::Http1 { minor: asked.minor };
    let signing = sign(context, receipt, answer, client, up, upload, of);
    let Signed {
        response,
        framing,
        mut body,
        upload,
    } = signing.await?;
    sample.answered_with(response.status().as_u16());
    let (framing, after) = outgoing(client, asked, framing, context);
    let mut out = BytesMut::new();
    write_from_http2(&response, &mut out, framing, after);
    client.start_message(out.freeze(), framing);
    let idle = context.settings.idle_timeout;
    let clock = sample.clock(|| announces_stream(response.headers().get(CONTENT_TYPE)));
    let mut exchange = Exchange::resumed(client, &mut body, idle, upload).timing(idle, clock);
    let result = exchange.run().await;
    let upload = exchange.upload();
    Ok(Passed {
        result,
        upload,
        after,
    })
}
