"""Ids as text, worked out here anew."""

from uuid import UUID

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def base32(value: UUID) -> str:
    return "".join(ALPHABET[value.int >> shift & 31] for shift in range(125, -1, -5))


def uuid_of(text: str) -> UUID:
    number = 0
    for character in text.partition("_")[2]:
        number = number << 5 | ALPHABET.index(character)
    return UUID(int=number)
