# The image of health-proxy: one static binary on nothing.
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t health-proxy .
#   docker buildx build --platform linux/amd64,linux/arm64 -t health-proxy:tools --target tools .

# Compiling happens on the builder's own architecture, whatever the image is for: no emulation.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95.0-bookworm AS build
# What writes the bill of materials into the binary. It runs here, so it is built before any target is set.
RUN command -v cargo-auditable || cargo install --locked cargo-auditable@0.7.7
ARG TARGETARCH
WORKDIR /build
# A C compiler is there for the builder's own architecture; only the other one has to be fetched.
# hadolint ignore=DL3008,SC2100
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) cpu=x86_64; gcc=gcc-x86-64-linux-gnu ;; \
        arm64) cpu=aarch64; gcc=gcc-aarch64-linux-gnu ;; \
        *) echo "no image for the architecture '$TARGETARCH', only for amd64 and arm64" >&2; exit 1 ;; \
    esac; \
    if ! command -v "$cpu-linux-gnu-gcc"; then \
        apt-get update; \
        apt-get install -y --no-install-recommends "$gcc" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    rustup target add "$cpu-unknown-linux-musl"; \
    printf '[build]\ntarget = "%s-unknown-linux-musl"\n' "$cpu" > "$CARGO_HOME/config.toml"
# Dependencies in a layer of their own, built for an empty program: a change to src/ does not rebuild them.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' > src/main.rs \
    && cargo auditable build --release --locked --no-default-features && rm -r src
COPY src src
# Cargo goes by modification times, and those of a checkout may be older than the empty program's.
RUN touch src/lib.rs src/main.rs && cargo auditable build --release --locked --no-default-features \
    && cp target/*/release/health-proxy /health-proxy

# For exec checks that need `sh`, `ls`, `nc` or `wget` beside them.
FROM docker.io/library/busybox:1.37.0-musl AS tools
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="health-proxy (with busybox)" \
      org.opencontainers.image.description="Runs health checks beside the main container and answers the kubelet's probes and Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/health-proxy/health-proxy" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /health-proxy /health-proxy
USER 65532:65532
EXPOSE 9809
ENTRYPOINT ["/health-proxy"]

FROM scratch AS health-proxy
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="health-proxy" \
      org.opencontainers.image.description="Runs health checks beside the main container and answers the kubelet's probes and Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/health-proxy/health-proxy" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /health-proxy /health-proxy
USER 65532:65532
EXPOSE 9809
ENTRYPOINT ["/health-proxy"]
