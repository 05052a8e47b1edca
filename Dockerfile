# mbv3zoo on the CPU: docker build -t mbv3zoo .
# README.md, "Install", says how it is run.

FROM python:3.11-slim-bookworm AS build

# uv knows where PyTorch's CPU build is, which needs a tenth of the space of the one with CUDA.
ENV VIRTUAL_ENV=/opt/mbv3zoo UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
RUN pip install --no-cache-dir "uv>=0.8,<1" && uv venv "$VIRTUAL_ENV"

# In a step of its own: it is not repeated when the sources change.
RUN uv pip install --torch-backend cpu "torch>=2.8" "torchvision>=0.23"

# What the wheel is made of.
WORKDIR /src
COPY LICENSE README.md pyproject.toml ./
COPY configs configs
COPY docs/backbones.csv docs/scene.jpg docs/
COPY mbv3zoo mbv3zoo
ARG EXTRAS=demo,export,video
RUN uv pip install --torch-backend cpu ".[$EXTRAS]"


FROM python:3.11-slim-bookworm

# Any user may run it, so that results belong to whoever started it: downloads are kept in a home that all may write to.
RUN useradd --create-home --uid 1000 mbv3zoo && chmod a+rwx /home/mbv3zoo && mkdir -m 777 /pictures
COPY --from=build /opt/mbv3zoo /opt/mbv3zoo
# In a container an app has to listen to more than the container, to be heard.
ENV PATH=/opt/mbv3zoo/bin:$PATH HOME=/home/mbv3zoo GRADIO_SERVER_NAME=0.0.0.0
USER mbv3zoo
WORKDIR /pictures
EXPOSE 7860
ENTRYPOINT ["mbv3zoo"]
CMD ["--help"]
