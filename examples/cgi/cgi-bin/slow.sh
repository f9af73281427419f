#!/bin/sh
# Says nothing for longer than first_byte_timeout: the server answers 504 and ends it.
sleep 60
printf 'Content-Type: text/plain\r\n\r\ntoo late\n'
