//! Signed responses to an HTTP/1.1 client.

use bytes::BytesMut;
use http::header::CONTENT_TYPE;

use super::http1_end::{Next, RequestMeta, conclude, outgoing, reply_to_error};
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
type MetaAndReceipt<'a> = (&'a RequestMeta, &'a Receipt);

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
    meta: MetaAndReceipt<'_>,
    mut received: R,
    sample: &mut Sample<'_>,
) -> Next {
    match sign_and_forward(client, context, meta, &mut received, sample).await {
        Ok(done) => {
            let complete = done.result.is_ok() && done.upload == Upload::Done;
            received.end(context, complete);
            conclude(client, context, done.result, done.after, sample)
        }
        Err(why) => {
            received.end(context, false);
            reply_to_error(client, context, meta.0, why, sample).await
        }
    }
}

async fn sign_and_forward<S: Duplex, R: UpstreamResponse>(
    client: &mut H1<S>,
    context: &Context,
    (meta, receipt): MetaAndReceipt<'_>,
    received: &mut R,
    sample: &mut Sample<'_>,
) -> Result<Forwarded, RoundTripError> {
    let head = received.to_http2(meta.is_head);
    let head = head.map_err(UpstreamError::BadResponse)?;
    let (of, upload) = (
        Client::Http1 {
            trailers: meta.trailers,
        },
        received.upload(),
    );
    let signing = sign(context, receipt, head, client, received.body(), upload, of);
    let Signed {
        response,
        framing,
        mut body,
        upload,
    } = signing.await?;
    sample.responded_with(response.status().as_u16());
    let (framing, after) = outgoing(client, meta, framing, context);
    let mut out = BytesMut::new();
    write_from_http2(&response, &mut out, framing, after);
    client.start_message(out.freeze(), framing);
    let timeouts = context.settings.timeouts();
    let clock = sample.clock(|| announces_stream(response.headers().get(CONTENT_TYPE)));
    let exchange = Exchange::resumed(client, &mut body, timeouts, upload);
    let mut exchange = exchange.timing(clock);
    let result = exchange.run().await;
    let upload = exchange.upload();
    Ok(Forwarded {
        result,
        upload,
        after,
    })
}
