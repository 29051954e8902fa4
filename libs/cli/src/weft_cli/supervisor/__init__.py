"""The process that owns a stack's programs: single-threaded, without grpc, standard library only.

It is apart from its client because programs are forked with `preexec_fn`, which is safe only without other threads, and
because the kernel's "tell me when my parent dies" follows the thread that forked.
"""
