//! Signed responses to an HTTP/1.1 client.

use bytes::BytesMut;
use http::header::CONTENT_TYPE;

use super::http1_end::{Next, RequestMeta, conclude, outgoing, unanswered};
use crate::io::Duplex;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::response::{Persistence, write_from_http2};
use crate::proxy::context::{Context, Sample};
use crate::proxy::error::UpstreamError;
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::pace::announces_stream;
use crate::proxy::round_trip::{RoundTripError, UpstreamResponse};
use crate::proxy::signed_response::{Client, Signed, sign};
use crate::signature::Receipt;

/// A request, and what of it is signed with its response.
type Asked<'a> = (&'a RequestMeta, &'a Receipt);

/// A response that was forwarded.
struct Forwarded {
    result: Result<(), Broken>,
    upload: Upload,
    after: Persistence,
}

/// Forwards a response with its signatures.
pub(super) async fn respond_signed<S: Duplex, R: UpstreamResponse>(
    client: &mut H1<S>,
    context: &Context,
    asked: Asked<'_>,
    mut answered: R,
    sample: &mut Sample<'_>,
) -> Next {
    match sign_and_forward(client, context, asked, &mut answered, sample).await {
        Ok(done) => {
            let complete = done.result.is_ok() && done.upload == Upload::Done;
            answered.end(context, complete);
            conclude(client, context, done.result, done.after, sample)
        }
        Err(why) => {
            answered.end(context, false);
            unanswered(client, context, asked.0, why, sample).await
        }
    }
}

async fn sign_and_forward<S: Duplex, R: UpstreamResponse>(
    client: &mut H1<S>,
    context: &Context,
    (asked, receipt): Asked<'_>,
    answered: &mut R,
    sample: &mut Sample<'_>,
) -> Result<Forwarded, RoundTripError> {
    let head = answered.to_http2(asked.is_head);
    let head = head.map_err(UpstreamError::BadResponse)?;
    let (of, upload) = (Client::Http1 { minor: asked.minor }, answered.upload());
    let signing = sign(context, receipt, head, client, answered.body(), upload, of);
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
    Ok(Forwarded {
        result,
        upload,
        after,
    })
}
