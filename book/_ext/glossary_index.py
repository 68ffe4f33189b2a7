"""Let the index and the search lead from a word of the glossary to the chapter that explains it.

The glossary says `Explained in [Q-learning](../primer/q_learning.ipynb)` of each of its words, and
is the one place that says so. What else readers look for stands in `ALSO`.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

GLOSSARY = "book/front/glossary"
BLOCK = re.compile(r"^```\{glossary\}\n(.*?)\n```$", re.S | re.M)
PLACE = re.compile(r"\b(?:Explained|Defined) in \[[^]]+\]\(([^)#]+)\.(?:ipynb|md)[^)]*\)")

# Names and abbreviations, and the word of the glossary that is explained where they are.
ALSO = {
    "actor-critic": "actor",
    "backpropagation": "neural network",
    "Bellman equation": "Bellman operator",
    "clipping of actions": "squashing",
    "COMA": "centralised critic",
    "CRN": "common random numbers",
    "CTDE": "centralised training",
    "DQN": "target network",
    "epsilon-greedy": "exploration",
    "Euler error": "Euler residual",
    "first-order condition": "envelope theorem",
    "GAE": "advantage",
    "generalised advantage estimation": "advantage",
    "IMPALA": "V-trace",
    "logit choice": "temperature",
    "MAPPO": "centralised critic",
    "MDP": "Bellman operator",
    "monopsony": "joint monopsony",
    "policy iteration": "Bellman operator",
    "PPO": "policy gradient",
    "proximal policy optimisation": "policy gradient",
    "QMIX": "mixer",
    "REINFORCE": "policy gradient",
    "replay buffer": "replay",
    "SAC": "temperature",
    "score function": "policy gradient",
    "soft actor-critic": "temperature",
    "tacit collusion": "collusion",
    "TD error": "temporal-difference error",
    "value iteration": "Bellman operator",
    "VDN": "mixer",
    "welfare loss": "consumption-equivalent loss",
}


def explained(glossary: str, folder: str) -> dict[str, str]:
    """Which page of the book explains a word, from the text of a glossary in a folder of it."""
    places = {}
    for block in BLOCK.findall(glossary):
        for entry in block.split("\n\n"):
            words, _, meaning = entry.partition("\n  ")
            if place := PLACE.search(meaning):
                page = Path("/", folder, place[1]).resolve().relative_to("/").as_posix()
                places |= dict.fromkeys(words.split("\n"), page)
    return places | {name: places[word] for name, word in ALSO.items() if word in places}


def without_hyphen(word: str) -> str:
    """As many will look for it."""
    return word.replace("-", " ")


class IndexTheWords(SphinxTransform):
    default_priority = 840  # before domains collect what is indexed

    def apply(self, **kwargs):
        path = Path(self.env.doc2path(GLOSSARY))
        if self.env.docname == GLOSSARY or not path.exists():
            return
        self.env.note_dependency(str(path))
        places = explained(path.read_text(encoding="utf-8"), str(Path(GLOSSARY).parent))
        words = [word for word, page in places.items() if page == self.env.docname]
        words = dict.fromkeys([*words, *map(without_hyphen, words)])
        # The search takes what is "main" for as good as a title, and better than a mention.
        entries = [("single", word, "", "main", None) for word in words]
        for section in list(self.document.findall(nodes.section))[: bool(entries)]:
            section.insert(1, addnodes.index(entries=entries))


def show_each_word_once(app, pagename, templatename, context, doctree):
    """Leave out of the index's page what differs by a hyphen: that is for the search alone."""
    for _, entries in context.get("genindexentries", ()):
        hyphenated = {without_hyphen(word) for word, _ in entries if "-" in word}
        entries[:] = [entry for entry in entries if entry[0] not in hyphenated]


def setup(app):
    app.add_transform(IndexTheWords)
    app.connect("html-page-context", show_each_word_once)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
