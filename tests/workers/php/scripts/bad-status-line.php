<?php
header('HTTP/');
echo 'still here';
