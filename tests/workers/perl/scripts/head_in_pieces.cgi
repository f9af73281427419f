#!/usr/bin/perl
$| = 1; print for split //, "Content-Type: text/plain\r\nX-Odd:  two  spaces \r\n\r\nbody\n\nmore";
