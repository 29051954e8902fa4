"""Reflection of exactly the services that are meant to be seen."""

from collections.abc import Iterable
from typing import cast

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2


def enable_reflection(server: grpc.aio.Server, services: Iterable[ServiceDescriptor]) -> None:
    """List `services`, and answer for the files that they need and no others: the default pool would answer for all."""
    shown = list(services)
    names = [service.full_name for service in shown]
    # The last two let a client list methods, and print the details of an error instead of its bytes.
    files = [service.file for service in shown]
    files += [cast(FileDescriptor, each.DESCRIPTOR) for each in (reflection_pb2, error_details_pb2)]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server, pool_of(files))


def pool_of(files: Iterable[FileDescriptor]) -> descriptor_pool.DescriptorPool:
    """Return a pool of these files and all that they import."""
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for imported in file.dependencies:
            add(imported)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        pool.Add(proto)  # type: ignore[no-untyped-call,unused-ignore]

    for file in files:
        add(file)
    return pool
