"""Rules of protovalidate as a module, for the generated code that imports it under this name.

No package ships it as text or as Python, but the installed protovalidate carries its descriptor. Taking it from there keeps
the rules that are written and the engine that reads them at one version.
"""

# The imports put into the pool what the descriptor itself imports.
from google.protobuf import (  # noqa: F401
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from google.protobuf.internal import builder
from protovalidate import ViolationPb

DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(ViolationPb.desc().file.proto.to_binary())
builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())
builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, __name__, globals())
