"""The library's methods on economies for which others have published how precise they are."""
