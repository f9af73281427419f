#!/usr/bin/perl
binmode STDIN; print "Content-Type: text/plain\n\n"; my $first = <STDIN>; print "line: $first"; read(STDIN, my $some, 10); print "ten: $some\n"; print "eof\n" if eof STDIN; local $/; my $rest = <STDIN>; print length($rest // ""), "\n", ($rest // ""), "\n";
