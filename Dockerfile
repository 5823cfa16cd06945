# The project as the workers of Prefect's Docker and Kubernetes pools run it: docker build -t wudi .
FROM python:3.11-slim

# git for the nights, bubblewrap to isolate the programs that models write.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap git openssh-client \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/wudi
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[lora,s3]'
