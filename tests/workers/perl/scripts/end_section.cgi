#!/usr/bin/perl
print "Content-Type: text/plain\n\n", join "", map { uc } <DATA>;
__END__
text at the end
