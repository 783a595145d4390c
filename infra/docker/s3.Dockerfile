# SeaweedFS for one host, not as root. With a bucket of a cloud provider, leave this service out.
FROM chrislusf/seaweedfs:4.48
RUN mkdir -p /var/lib/seaweedfs && chown 10001:10001 /var/lib/seaweedfs
USER 10001:10001
EXPOSE 8333
ENTRYPOINT []
CMD ["weed", "server", "-dir=/var/lib/seaweedfs", "-filer", "-s3"]
