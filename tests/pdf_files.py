"""PDFs, made by hand: whole ones, and ones that mean harm."""

import zlib
from collections.abc import Sequence
from io import BytesIO

from pypdf import PdfWriter


def a_pdf(*pages: str) -> bytes:
    """Return a PDF with a line of text on each page."""
    return assembled([b"BT /F1 12 Tf 72 720 Td (%s) Tj ET" % page.encode("latin-1") for page in pages])


def assembled(streams: Sequence[bytes]) -> bytes:
    """Return a PDF whose pages have these content streams, packed."""
    count = len(streams)
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(count))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, stream in enumerate(streams):
        packed = zlib.compress(stream)
        bodies.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
            b" /Contents %d 0 R >>" % (5 + 2 * n)
        )
        bodies.append(
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
        )
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)
    return bytes(out)


def a_bomb(unpacked_bytes: int = 1 << 30) -> bytes:
    """Return a small PDF whose page unpacks to a gigabyte."""
    packer, packed = zlib.compressobj(9), bytearray()
    block = b" " * (1 << 20)
    for _ in range(unpacked_bytes >> 20):
        packed += packer.compress(block)
    packed += packer.flush()
    whole = assembled([b"placeholder"])
    small = zlib.compress(b"placeholder")
    return whole.replace(small, bytes(packed)).replace(b"/Length %d " % len(small), b"/Length %d " % len(packed))


def a_slow_pdf(operations: int, text: str = "") -> bytes:
    """Return a PDF over whose page a reader computes for long: about a second for 200,000 operations."""
    return assembled([b"q Q\n" * operations + b"BT /F1 12 Tf 72 720 Td (%s) Tj ET" % text.encode("latin-1")])


def an_encrypted_pdf(text: str, password: str, *, algorithm: str = "RC4-128") -> bytes:
    writer = PdfWriter(clone_from=BytesIO(a_pdf(text)))
    writer.encrypt(password, owner_password="owner", algorithm=algorithm)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()
