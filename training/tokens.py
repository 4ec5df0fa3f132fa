"""Words and tokens, as src/model/tokenizer.rs and src/search/embedding.rs have them."""

import re
import unicodedata

RUN = re.compile(r"[^\W_]+")
LETTERS = 3


def plain(text):
    """The text without diacritics."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not "\u0300" <= c <= "\u036f")


def parts(word):
    """The words inside a word: readFile is read and File."""
    found, start, before, letters = [], 0, None, 0
    for at, here in enumerate(word):
        begins = False
        if before is not None:
            if here.isupper():
                lower_follows = at + 1 < len(word) and word[at + 1].islower()
                begins = (not before.isupper() and not before.isnumeric()) or lower_follows
            elif here.isnumeric():
                begins = not before.isnumeric() and letters >= LETTERS
            else:
                begins = before.isnumeric() and letters == 0 and at - start > 1
        if begins and at > start:
            found.append(word[start:at])
            start, letters = at, 0
        letters += not here.isnumeric()
        before = here
    return found + [word[start:]]


def words(text):
    """The words of a text, in lower case."""
    return [part.lower() for run in RUN.findall(plain(text)) for part in parts(run)]


class Tokens:
    """A vocabulary: each word is one token, or as few of the longest pieces as it takes."""

    def __init__(self, vocabulary):
        self.numbers = {token: number for number, token in enumerate(vocabulary)}
        self.known = {}

    def word(self, word):
        """The tokens of a word; none if it cannot be put together."""
        if word in self.known:
            return self.known[word]
        found, start = [], 0
        while start < len(word) <= 64:
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self.numbers), None)
            if end is None:
                found = []
                break
            found.append(self.numbers[prefix + word[start:end]])
            start = end
        self.known[word] = found
        return found

    def __call__(self, text):
        return [token for word in words(text) for token in self.word(word)]
