# Two stages: Go builds one static binary, the image holds that and nothing else.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/loradeck ./cmd/web \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/loradeck /loradeck
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080
# Others can reach a published port, so the dashboard asks for a login: the token is made in the volume at first start, and
# only its path is printed. The local platform stays on the container's own loopback.
ENV LORADECK_ADDR=0.0.0.0:8080 \
    LORADECK_DATA=/data \
    LORADECK_TOKEN_FILE=/data/tokens \
    LORADECK_MAKE_TOKEN=true \
    LORADECK_BEHIND_PROXY=true \
    LORADECK_HOST=localhost
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/loradeck", "health"]
ENTRYPOINT ["/loradeck"]
