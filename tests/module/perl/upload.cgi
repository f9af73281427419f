#!/usr/bin/perl
# A file of a form, through CGI.pm.
use strict;
use warnings;
use CGI;
use Digest::SHA;
$CGI::POST_MAX = 1 << 20;
my $q = CGI->new;
if (my $error = $q->cgi_error) { print $q->header(-status => $error, -type => 'text/plain'), "refused: $error\n"; exit 3 }
my $file = $q->upload('file');
print $q->header('text/plain');
if (!$file) { print "no file\n"; exit }
my $info = $q->uploadInfo($file);
binmode $file;
my $kept = $q->tmpFileName($file);
print join "\n", "$file", $info->{'Content-Type'}, -s $kept, Digest::SHA->new(256)->addfile($file)->hexdigest, join(',', $q->multi_param('a')), '';
END { print STDERR "the end of an upload\n" }
