#!/usr/bin/perl
print "Content-Type: text/plain\n\n"; while (<DATA>) { chomp; print "$.: $_\n" } print eof(DATA) ? "eof\n" : "more\n";
=head1 A piece of documentation

__END__ is not here

=cut

print "after pod\n";
__DATA__
first
second line

__END__
last