#!/usr/bin/perl
use strict; my %h; print "Content-Type: text/plain\n\n"; print "so far\n"; $h{x}->missing;
