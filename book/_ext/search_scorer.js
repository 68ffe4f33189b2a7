// Sphinx's scores, but the chapter that explains a word comes before the code that has its name.
var Scorer = {
  score: ([docname, title, anchor, description, score]) =>
    docname === "book/api" ? score - 100 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
