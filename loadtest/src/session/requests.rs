//! The exchanges of a session over HTTP/1.1, HTTP/2 and gRPC: what is sent, what must come back.

use std::time::Instant;

use http::Request;

use super::{Open, Sample, Session, not_open, token_stream};
use crate::error::{Error, Result};
use crate::http::grpc::grpc_request;
use crate::http::h1::H1;
use crate::http::h2::was_too_late;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::plan::Scenario;

/// A request that servers do not process because they are ending the connection is sent so often at most.
const MOST_ATTEMPTS: u32 = 10;

impl Session {
    pub(super) async fn multiplexed(&mut self) -> Result<u64> {
        let (up, down) = (self.case.up, self.case.down);
        let unary = self.grpc("/hybridge.demo.Echo/Unary")?;
        let plain = self.h2_request(up, down)?;
        for _ in 0..MOST_ATTEMPTS {
            let begun = Instant::now();
            match self.once(&unary, &plain).await {
                Ok((got, wanted)) if got == wanted => return Ok(0),
                Ok((got, wanted)) => {
                    let told = format!("{got} bytes for {wanted}");
                    return Err(self.failed(&std::io::Error::other(told)));
                }
                Err(error) if was_too_late(&error) => self.reopen(begun).await?,
                Err(error) => return Err(self.failed(&error)),
            }
        }
        let told = format!(
            "{MOST_ATTEMPTS} connections ended in a row before they took a request (GOAWAY)"
        );
        Err(self.failed(&std::io::Error::other(told)))
    }

    /// One attempt over HTTP/2: the bytes that came, and those that must.
    async fn once(
        &mut self,
        unary: &Request<()>,
        plain: &Request<()>,
    ) -> std::io::Result<(u64, u64)> {
        let (up, down) = (self.case.up, self.case.down);
        let paged = self.dialer.endpoint().served.page.is_some();
        match &mut self.open {
            Open::Call(_, call) => call
                .exchange(up as usize)
                .await
                .map(|length| (length as u64, up)),
            Open::H2(shared) if self.case.scenario == Scenario::GrpcUnary => shared
                .h2
                .unary(unary, up as usize)
                .await
                .map(|length| (length as u64, up)),
            Open::H2(shared) => shared
                .h2
                .request(plain, up)
                .await
                .and_then(|(status, length)| match status {
                    200 if up > 0 || paged => Ok((down, down)),
                    200 => Ok((length, down)),
                    _ => Err(std::io::Error::other(format!(
                        "{} answered {status}",
                        plain.uri().path()
                    ))),
                }),
            _ => Err(not_open()),
        }
    }

    /// One request on the persistent connection; its payload bytes.
    pub(super) async fn request(&mut self, up: u64, down: u64) -> Result<u64> {
        self.ensure_open().await?;
        let Open::H1(mut h1) = std::mem::replace(&mut self.open, Open::Nothing) else {
            return Err(self.failed(&not_open()));
        };
        let units = self.http(&mut h1, up, down).await?;
        self.open = Open::H1(h1);
        Ok(units)
    }

    /// One HTTP/1.1 request: `up` bytes into the sink, or `down` bytes of blob.
    pub(super) async fn http(
        &self,
        h1: &mut H1<Stream<Socket>>,
        up: u64,
        down: u64,
    ) -> Result<u64> {
        let authority = &self.dialer.endpoint().authority;
        let path = self.path(up, down);
        let paged = self.dialer.endpoint().served.page.is_some();
        let head = if up > 0 {
            format!("POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {up}\r\n\r\n")
        } else {
            format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n")
        };
        let done = async {
            let head = h1.ask(head.as_bytes(), up).await?;
            if head.status != 200 {
                let told = format!("{path} answered {}", head.status);
                return Err(std::io::Error::other(told));
            }
            match h1.drain(head.body).await? {
                got if paged && up == 0 => Ok(got),
                got if up > 0 || got == down => Ok(up + down),
                got => Err(std::io::Error::other(format!("{path} gave {got} bytes"))),
            }
        };
        done.await
            .map_err(|error: std::io::Error| self.failed(&error))
    }

    /// One streamed response on the persistent connection; its tokens.
    pub(super) async fn tokens(&mut self, tokens: u32, sample: &mut Sample) -> Result<u64> {
        self.ensure_open().await?;
        let Open::H1(mut h1) = std::mem::replace(&mut self.open, Open::Nothing) else {
            return Err(self.failed(&not_open()));
        };
        let endpoint = self.dialer.endpoint();
        let wanted = token_stream::Wanted {
            model: endpoint.served.model.as_deref().unwrap_or("stub"),
            tokens,
            interval_us: self.case.token_interval_us,
        };
        let streamed = token_stream::run(&mut h1, &endpoint.authority, &wanted, sample).await;
        let tokens = streamed.map_err(|error| self.failed(&error))?;
        self.open = Open::H1(h1);
        Ok(tokens)
    }

    pub(super) fn grpc(&self, path: &str) -> Result<Request<()>> {
        let authority = &self.dialer.endpoint().authority;
        grpc_request(authority, path).map_err(|error| Error::Usage(format!("target URL: {error}")))
    }

    /// What is requested: the sink where bytes go up, else the blob, or the page of a server that has none.
    fn path(&self, up: u64, down: u64) -> String {
        match &self.dialer.endpoint().served.page {
            _ if up > 0 => "/sink".to_owned(),
            Some(page) => page.clone(),
            None => format!("/blob/{down}"),
        }
    }

    fn h2_request(&self, up: u64, down: u64) -> Result<Request<()>> {
        let authority = &self.dialer.endpoint().authority;
        let method = if up > 0 { "POST" } else { "GET" };
        let path = self.path(up, down);
        Request::builder()
            .method(method)
            .uri(format!("https://{authority}{path}"))
            .body(())
            .map_err(|error| Error::Usage(format!("target URL: {error}")))
    }
}
