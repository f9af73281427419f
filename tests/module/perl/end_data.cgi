#!/usr/bin/perl
print "Content-Type: text/plain\n\n", map { "> $_" } <DATA>;
__END__
after the end

=head1 POD

is data as well

=cut
