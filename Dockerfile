# An image of Causeway: docker build -t causeway . (docs/operating.md says how to run it)

# The Node of this stage runs npm; Causeway brings its own.
FROM node:24-bookworm-slim AS program
WORKDIR /source
COPY . .
RUN ["sh", "packaging/image.sh", "program", "/image"]

FROM debian:bookworm-slim
COPY --from=program /image/opt/causeway /opt/causeway
RUN ["sh", "/opt/causeway/packaging/image.sh", "user", "/"]
USER 10000:10000
VOLUME /data
EXPOSE 10000
# The command becomes process 1 and takes its signals itself.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["/opt/causeway/packaging/healthcheck"]
ENTRYPOINT ["/opt/causeway/bin/causeway"]
# Docker kills 10 s after SIGTERM.
CMD ["serve", "--data", "/data", "--host", "0.0.0.0", "--set", "drainTimeoutMs=8000"]
