//! The two ways to be reached.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;

use super::api::upgrades;
use super::limited::{Limited, Peer};
use super::routes;
use super::site::Site;
use super::upgrade;

/// A request that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for one that brings a release, perhaps over a slow line.
const PATIENCE_RELEASE: Duration = Duration::from_secs(600);
/// Connections at a time.
const CONNECTIONS: usize = 256;

/// Gives up a request that takes too long.
pub(super) async fn patience(request: Request, next: Next) -> Response {
    let brings_release = [upgrade::RELEASE, upgrades::RELEASE].contains(&request.uri().path());
    let patience = if brings_release { PATIENCE_RELEASE } else { PATIENCE };
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the router did not answer in time\n").into_response(),
    }
}

/// Serves the pages on the router's own addresses, by a listener that speaks TLS.
///
/// # Errors
/// When the listener ends.
pub async fn over_tls<L>(listener: L, site: Site) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    run(listener, site).await
}

/// Serves the pages on a loopback address of the machine.
///
/// # Errors
/// When the listener fails.
pub async fn loopback(listener: tokio::net::TcpListener, mut site: Site) -> std::io::Result<()> {
    site.loopback = Some(listener.local_addr()?);
    run(listener, site).await
}

async fn run<L>(listener: L, site: Site) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    let pages = routes::router(site).into_make_service_with_connect_info::<Peer>();
    axum::serve(Limited::new(listener, CONNECTIONS), pages).await
}
