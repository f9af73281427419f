#!/bin/sh
# Fails before it has printed a response head: the server answers 502 and tells the story.
echo 'cannot open the data base: no such file' >&2
exit 3
