//! Counters in Prometheus' text format, by hand.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use portolan_core::view::PortScope;

use super::Api;

/// Upper bounds of the latency histogram, in microseconds.
const BOUNDS: [u64; 10] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000, 10_000_000,
];

/// What is counted.
#[derive(Default)]
pub struct Metrics {
    /// By class of status, 1xx to 5xx.
    answers: [AtomicU64; 5],
    latency: [AtomicU64; BOUNDS.len() + 1],
    latency_sum: AtomicU64,
    panics: AtomicU64,
    streams: AtomicI64,
}

impl Metrics {
    /// One answer.
    pub fn answered(&self, status: u16, micros: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        self.latency_sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// A handler that panicked.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// An event stream that began (1) or ended (-1).
    pub fn stream(&self, change: i64) {
        self.streams.fetch_add(change, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let mut out = String::with_capacity(2048);
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = out.write_fmt(text);
            out.push('\n');
        };
        line(format_args!("# TYPE portolan_http_requests_total counter"));
        for (class, count) in self.answers.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            line(format_args!(
                "portolan_http_requests_total{{status=\"{}xx\"}} {count}",
                class + 1
            ));
        }
        line(format_args!("# TYPE portolan_http_request_duration_seconds histogram"));
        let mut total = 0;
        for (n, count) in self.latency.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            match BOUNDS.get(n) {
                #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
                Some(bound) => line(format_args!(
                    "portolan_http_request_duration_seconds_bucket{{le=\"{}\"}} {total}",
                    *bound as f64 / 1e6
                )),
                None => line(format_args!(
                    "portolan_http_request_duration_seconds_bucket{{le=\"+Inf\"}} {total}"
                )),
            }
        }
        let sum = self.latency_sum.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a sum for people and graphs")]
        let seconds = sum as f64 / 1e6;
        line(format_args!("portolan_http_request_duration_seconds_sum {seconds}"));
        line(format_args!("portolan_http_request_duration_seconds_count {total}"));
        line(format_args!("# TYPE portolan_http_panics_total counter"));
        line(format_args!(
            "portolan_http_panics_total {}",
            self.panics.load(Ordering::Relaxed)
        ));
        line(format_args!("# TYPE portolan_event_streams gauge"));
        line(format_args!(
            "portolan_event_streams {}",
            self.streams.load(Ordering::Relaxed)
        ));
        out
    }
}

/// `GET /metrics`. Counts only: nothing of any project's.
pub async fn show(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let (head, networks, subnets, ports, online, nodes) = api.control.read(|view| {
        let online = view
            .nodes()
            .filter(|n| view.node_status(n.id).is_some_and(|s| s.online))
            .count();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let networks = count(view.networks(None).count());
        let subnets = count(view.subnets(None).count());
        (
            view.head(),
            networks,
            subnets,
            view.port_count(PortScope::All) - view.hidden_count(PortScope::All),
            count(online),
            count(view.nodes().count()),
        )
    });
    let mut text = api.metrics.text();
    for (name, value) in [
        ("portolan_revision", head),
        ("portolan_networks", networks),
        ("portolan_subnets", subnets),
        ("portolan_ports", ports),
        ("portolan_nodes", nodes),
        ("portolan_nodes_online", online),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
    }
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let metrics = Metrics::default();
        for micros in [100, 300, 20_000_000] {
            metrics.answered(200, micros);
        }
        metrics.answered(503, 1);
        let text = metrics.text();
        for line in [
            "portolan_http_requests_total{status=\"2xx\"} 3",
            "portolan_http_requests_total{status=\"5xx\"} 1",
            "portolan_http_request_duration_seconds_bucket{le=\"0.00025\"} 2",
            "portolan_http_request_duration_seconds_bucket{le=\"0.0005\"} 3",
            "portolan_http_request_duration_seconds_bucket{le=\"+Inf\"} 4",
            "portolan_http_request_duration_seconds_count 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }
}
