"""The messages of the link and of what is sealed, from their descriptions in proto/ and e2ee/."""

import pathlib
import sys

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "proto/proto"), str(ROOT / "e2ee/proto")]
link, words = grpc.protos("macloud/link/v1/link.proto"), grpc.protos("macloud/home/v1/home.proto")
