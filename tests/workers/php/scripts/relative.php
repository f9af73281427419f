<?php
include 'included/part.php';
echo file_get_contents('included/text.txt'), basename(getcwd());
