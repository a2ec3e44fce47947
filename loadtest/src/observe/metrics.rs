//! One scrape of a Prometheus endpoint over plain HTTP, and sums of samples by label (text format 0.0.4).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::h1::H1;

/// Bytes of a scrape, at most: that of a large fleet's sidecar has some hundred thousand.
const LARGEST: usize = 8 << 20;

/// All samples of a scrape.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

/// Reads `GET /metrics`; fails after two seconds of silence.
pub async fn scrape(address: SocketAddr) -> io::Result<Samples> {
    let attempt = async {
        let stream = TcpStream::connect(address).await?;
        let mut h1 = H1::new(stream);
        let head = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        h1.send(head.as_bytes(), 0).await?;
        let head = h1.response().await?;
        if head.status != 200 {
            return Err(io::Error::other(format!(
                "/metrics answered {}",
                head.status
            )));
        }
        let (mut body, mut text) = (head.body, Vec::new());
        while let Some(piece) = h1.piece(&mut body).await? {
            if text.len() + piece.len() > LARGEST {
                return Err(io::Error::other("/metrics is larger than 8 MiB"));
            }
            text.extend_from_slice(piece);
        }
        Ok(Samples::parse(&String::from_utf8_lossy(&text)))
    };
    timeout(Duration::from_secs(2), attempt)
        .await
        .map_err(io::Error::from)?
}

impl Samples {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| {
                    let (series, value) = line.rsplit_once(' ')?;
                    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                    Some(Sample {
                        name: name.to_owned(),
                        labels: labels.to_owned(),
                        value: value.parse().ok()?,
                    })
                })
                .collect(),
        )
    }

    /// The sum of all series of a name that carry these labels; none if there is no such series.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: Vec<_> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        let found: Vec<f64> = self
            .0
            .iter()
            .filter(|sample| {
                sample.name == name && wanted.iter().all(|label| sample.labels.contains(label))
            })
            .map(|sample| sample.value)
            .collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// The labels of the first series of a name, as written.
    pub fn labels(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|sample| sample.name == name)
            .map(|sample| sample.labels.trim_end_matches('}'))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_scrape_that_does_not_end_is_given_up() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endless = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut sent = 0;
            while peer.write_all(&vec![b'x'; 65_536]).await.is_ok() {
                sent += 65_536;
            }
            sent
        });
        let error = scrape(address).await.unwrap_err();
        assert_eq!(error.to_string(), "/metrics is larger than 8 MiB");
        // What was read, and what two sockets hold.
        assert!(endless.await.unwrap() < 4 * LARGEST);
    }

    #[test]
    fn series_are_summed_by_label() {
        let samples = Samples::parse(
            "# HELP x y\nx{a=\"1\",b=\"2\"} 3\nx{a=\"1\",b=\"3\"} 4\nx{a=\"2\"} 8\ny 1e3\n",
        );
        assert_eq!(samples.sum("x", &[("a", "1")]), Some(7.0));
        assert_eq!(samples.sum("x", &[]), Some(15.0));
        assert_eq!(samples.sum("y", &[]), Some(1000.0));
        assert_eq!(samples.sum("z", &[]), None);
    }
}
