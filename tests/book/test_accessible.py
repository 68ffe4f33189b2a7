"""What is mended in a page's HTML, and what is left alone."""

import accessible
import pytest


@pytest.mark.parametrize("corner", ["<th></th>", '<th class="head"> </th>', "<th><p></p></th>"])
def test_the_corner_of_a_table_is_no_header_and_its_other_headers_stay(corner):
    others = '<th class="head"><p>loss</p></th><th scope="row">PPO</th>'
    assert accessible.mend(corner + others) == "<td></td>" + others


def test_no_two_algorithms_of_a_page_have_one_name():
    page = '<section class="algorithm-content" id="proof-content">'
    assert accessible.mend(page) == '<section class="algorithm-content">'


def test_entries_of_a_bibliography_are_items_of_its_list():
    page = '<div role="list"><div class="citation" id="id1" role="doc-biblioentry">A.</div></div>'
    mended = '<div role="list"><div class="citation" id="id1" role="listitem">A.</div></div>'
    assert accessible.mend(page) == mended
