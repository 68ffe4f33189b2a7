// Sphinx's scores, but the chapter that explains a word (see glossary_index.py) comes before the
// glossary, and the code that has its name comes last.
var Scorer = {
  score: ([docname, title, anchor, description, score]) =>
    score - ({ "book/api": 100, "book/front/glossary": 60 }[docname] ?? 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
