# The binary `saga` on Debian, started by a user that owns nothing.
#
#   docker build -t saga-orchestrator .
#   docker run --rm saga-orchestrator --help

FROM rust:1.95-bookworm AS build
# librdkafka, OpenSSL, libcurl, zstd and SQLite are compiled from the sources that their crates carry: a C and C++
# compiler, make, perl, cmake, pkg-config and zlib's headers are all they need. Most are in the image already.
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential cmake perl pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
# Not what rust-toolchain.toml adds for development: rustfmt and clippy.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
# Nothing here needs BuildKit, which not every Docker has.
RUN cargo build --profile dist --features tls --locked -p saga-orchestrator \
    && install -D target/dist/saga /out/saga

FROM debian:bookworm-slim
# Authorities' certificates: TLS to Kafka, to Postgres and to participants verifies with them. zlib is librdkafka's.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent saga
COPY --from=build /out/saga /usr/local/bin/saga
# The shipped definitions, so that the image runs and `saga check` has something to check; mount your own over them.
COPY sagas /etc/saga/sagas
COPY schemas/*.avsc /etc/saga/schemas/
COPY deploy/config.yaml /etc/saga/config.yaml
ENV SAGA_CONFIG=/etc/saga/config.yaml
WORKDIR /etc/saga
USER 10001:10001
EXPOSE 8080
# Longer than an engine needs to end in order: 30 s.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=6 CMD ["saga", "health"]
ENTRYPOINT ["saga"]
CMD ["serve"]
