"""Tests of pictures, and of the processes that paint them."""
