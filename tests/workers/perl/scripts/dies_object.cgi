#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; eval { die { code => 5 } }; print "caught $@->{code}\n"; die bless { text => "object" }, "Failure"; package Failure; use overload '""' => sub { "Failure: $_[0]{text}\n" };
