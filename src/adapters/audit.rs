//! The audit trail as structured log lines, target `audit`.

use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::ports::audit::Audit;

/// Writes events to `tracing`, within the span of the request that they belong to.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingAudit;

impl Audit for TracingAudit {
    fn record(&self, name: EventName, event: Event) {
        tracing::info!(
            target: "audit",
            event = name.as_str(),
            client = event.client,
            grant = event.grant,
            subject = event.subject,
            name = event.name,
            redirect_host = event.redirect_host,
            document = event.document,
            document_host = event.document_host,
            resource = event.resource,
            scope = event.scope,
            n = event.n,
            endpoint = event.endpoint,
            status = event.status,
            reason = event.reason,
            call = event.call,
            operation = event.operation,
            upstream_code = event.upstream_code,
            correlation_id = event.correlation_id,
        );
    }
}
