# syntax=docker/dockerfile:1
#
# The image of a node: `docker build -t remex .`, explained in docs/deploy/docker.md.
#
# The program links the C library, libm and libgcc, nothing else, so the base holds these and no
# shell, package manager or other program: there is nothing in it to patch but glibc. Both stages
# are the same Debian release, or the program could ask for a newer C library than there is.

ARG RUST_VERSION=1.95
ARG DEBIAN_RELEASE=bookworm

FROM rust:${RUST_VERSION}-${DEBIAN_RELEASE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY xtask xtask
# The caches are not layers: a second build compiles only what changed. Without the tables of lines,
# which only a debugger reads, the program is a quarter as large.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --package remex-cli \
    && install --directory --mode 0755 /image/usr/local/bin \
    && strip --strip-debug -o /image/usr/local/bin/remex target/dist/remex \
    && install --directory --mode 0700 /image/var/lib/remex

FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Remex" \
      org.opencontainers.image.description="Highly available key/value store" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /image/usr/local/bin/remex /usr/local/bin/remex
# A new volume takes over the owner of the folder that it covers, so a node that is not root can
# write to it.
COPY --from=build --chown=65532:65532 /image/var/lib/remex /var/lib/remex

# Every setting of a node is a variable: docs/cli.md. Loopback alone would be of no use here.
ENV REMEX_DATA_DIR=/var/lib/remex \
    REMEX_LISTEN=0.0.0.0:7480 \
    REMEX_PEER_LISTEN=0.0.0.0:7481
# 7480 for clients, 7481 for the other nodes.
EXPOSE 7480 7481
VOLUME ["/var/lib/remex"]
WORKDIR /var/lib/remex
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/remex", "health"]
ENTRYPOINT ["/usr/local/bin/remex"]
CMD ["serve"]
