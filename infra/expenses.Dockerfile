# The sample MCP server. Built as Dockerfile is, beside it.
FROM rust:1.95-trixie AS build
WORKDIR /build
ENV CARGO_PROFILE_RELEASE_STRIP=symbols

# Dependencies, in a layer that stays as long as the manifests do. Cargo wants to see a file for each target.
COPY Cargo.toml Cargo.lock ./
COPY examples/expenses/Cargo.toml examples/expenses/
COPY examples/verify/Cargo.toml examples/verify/
RUN mkdir -p src benches/gateway examples/azure examples/identity-provider examples/expenses/src examples/verify/src \
    && touch src/lib.rs examples/expenses/src/lib.rs \
    && for target in src/main.rs benches/flow.rs benches/gateway/main.rs benches/store.rs \
        examples/azure/main.rs examples/identity-provider/main.rs examples/expenses/src/main.rs examples/verify/src/main.rs; do \
        echo 'fn main() {}' >"$target"; \
    done \
    && cargo build --locked --release --package expenses --features cosmos \
    && cargo clean --locked --release --package expenses

COPY examples/expenses/src examples/expenses/src
RUN cargo build --locked --release --package expenses --features cosmos --bin expenses

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /build/target/release/expenses /expenses
USER 65532:65532
EXPOSE 9000
ENTRYPOINT ["/expenses"]
