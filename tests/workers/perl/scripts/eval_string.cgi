#!/usr/bin/perl
my $secret = "s$ENV{QUERY_STRING}"; print "Content-Type: text/plain\n\n"; print eval q{ my $x = $secret; sub { "$x$secret" }->() }, "\n"; sub named { eval q{$secret} } print named(), "\n"; eval "die 'in eval'"; print "$@"; eval "1 +* 2"; print $@ ? "syntax\n" : "none\n"; eval q{END { print "end from eval $secret\n" }};
