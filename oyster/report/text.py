"""Text from elsewhere (records, names of files, what a program said), made fit for a page, a file and a terminal."""

LONGEST = 80  # letters of a value in a message


def plain(text: str) -> str:
    """One line of letters that can be seen: no control character, terminal escape or lone surrogate is left."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def cleaned(content: object) -> object:
    """What a JSON file holds, every text in it, keys included, plain."""
    if isinstance(content, str):
        return plain(content)
    if isinstance(content, list):
        return [cleaned(item) for item in content]
    if isinstance(content, dict):
        return {plain(key): cleaned(value) for key, value in content.items()}
    return content


def shown(name: object) -> str:
    """A path or name for a message: as it is, or by repr where a terminal could trip over it."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def told(value: object) -> str:
    """A value for a message, by repr and not too long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
